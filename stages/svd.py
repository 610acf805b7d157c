from earshift.analysis.svd import main

if __name__ == "__main__":
    main()
