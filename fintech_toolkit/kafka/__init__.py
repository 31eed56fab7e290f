"""Kafka: topics to frames and frames to topics, at least once, with configuration, dead letters and a toy broker."""
