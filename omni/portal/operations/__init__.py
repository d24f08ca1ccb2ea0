"""Operations: charts, alerts and slow traces of the platform, for its operator."""
