from earshift.report.headline import main

if __name__ == "__main__":
    main()
