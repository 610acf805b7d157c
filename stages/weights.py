from earshift.encoders.weights.record import main

if __name__ == "__main__":
    main()
