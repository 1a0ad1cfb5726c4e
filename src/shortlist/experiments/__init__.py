"""Two ways to recommend side by side: who gets which, what each showed, and what came of it. Needs no PyTorch."""
