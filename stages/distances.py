from earshift.analysis.distances import main

if __name__ == "__main__":
    main()
