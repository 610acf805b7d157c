from earshift.pipeline.corpus import main

if __name__ == "__main__":
    main()
