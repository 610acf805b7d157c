from earshift.pipeline.encoder_inputs import main

if __name__ == "__main__":
    main()
