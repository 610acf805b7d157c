from earshift.report.summary import main

if __name__ == "__main__":
    main()
