from earshift.pipeline.excerpts import main

if __name__ == "__main__":
    main()
