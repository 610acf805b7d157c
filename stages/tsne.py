from earshift.analysis.tsne import main

if __name__ == "__main__":
    main()
