from earshift.analysis.robustness import main

if __name__ == "__main__":
    main()
