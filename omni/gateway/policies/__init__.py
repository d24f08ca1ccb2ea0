"""A tenant's policies as hooks on requests and answers, stream events too."""
