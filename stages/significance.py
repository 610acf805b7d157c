from earshift.analysis.significance import main

if __name__ == "__main__":
    main()
