from earshift.pipeline.corpus_inputs import main

if __name__ == "__main__":
    main()
