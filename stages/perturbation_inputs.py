from earshift.pipeline.perturbation_inputs import main

if __name__ == "__main__":
    main()
