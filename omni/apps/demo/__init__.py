"""The guided tour: the platform's main job on real input, through its public doors only."""
