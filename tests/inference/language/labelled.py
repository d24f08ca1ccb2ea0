"""Short texts with their subject, written by hand, for classification and grouping."""

LABELLED: tuple[tuple[str, str], ...] = (
    ("The striker scored twice in the second half of the match.", "sports"),
    ("The marathon winner finished in just over two hours.", "sports"),
    ("Our coach wants the team to defend better.", "sports"),
    ("She won the tennis final in three sets.", "sports"),
    ("The referee showed a red card after the foul.", "sports"),
    ("He trains at the swimming pool every morning.", "sports"),
    ("Simmer the onions in butter until they are golden.", "cooking"),
    ("Add a pinch of salt and stir the soup.", "cooking"),
    ("Knead the dough and let it rise for an hour.", "cooking"),
    ("Bake the cake at 180 degrees for forty minutes.", "cooking"),
    ("The sauce needs more garlic and a little lemon.", "cooking"),
    ("Chop the carrots and fry them with ginger.", "cooking"),
    ("The central bank raised interest rates by half a point.", "finance"),
    ("Shares of the company fell after the earnings report.", "finance"),
    ("Inflation slowed to two percent last month.", "finance"),
    ("Investors moved their money into government bonds.", "finance"),
    ("The loan has to be repaid within ten years.", "finance"),
    ("The fund charges a yearly fee of one percent.", "finance"),
    ("The doctor prescribed antibiotics for the infection.", "health"),
    ("Regular sleep lowers the risk of heart disease.", "health"),
    ("The nurse measured the patient's blood pressure.", "health"),
    ("The vaccine protects against the flu for one season.", "health"),
    ("He broke his leg and needs surgery.", "health"),
    ("Headaches can be a symptom of dehydration.", "health"),
)  # fmt: skip
LABELS = ("sports", "cooking", "finance", "health")
