from earshift.analysis.cca import main

if __name__ == "__main__":
    main()
