from earshift.pipeline.tracking.track import main

if __name__ == "__main__":
    main()
