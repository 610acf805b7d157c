from earshift.pipeline.perturb import main

if __name__ == "__main__":
    main()
