from earshift.analysis.consistency import main

if __name__ == "__main__":
    main()
