from earshift.analysis.trajectories import main

if __name__ == "__main__":
    main()
