from earshift.analysis.comparison import main

if __name__ == "__main__":
    main()
