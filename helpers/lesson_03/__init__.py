"""What notebook 3 alone needs: Augmentation Its figures, its exercises' checks and its panels."""
