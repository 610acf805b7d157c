from earshift.pipeline.performance import main

if __name__ == "__main__":
    main()
