from earshift.pipeline.embed import main

if __name__ == "__main__":
    main()
