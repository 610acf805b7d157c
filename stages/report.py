from earshift.report.page.page import main

if __name__ == "__main__":
    main()
