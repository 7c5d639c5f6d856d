"""Study definitions, and the recipes that make the embedded backbones and benchmark items."""
