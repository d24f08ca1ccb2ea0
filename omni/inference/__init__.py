"""The AI endpoints, by family. Knows neither keys nor billing."""
