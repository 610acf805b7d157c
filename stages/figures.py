from earshift.report.figures.draw import main

if __name__ == "__main__":
    main()
