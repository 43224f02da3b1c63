"""Effects without meaning: the egress client, encryption, signatures, task supervision."""
