"""What notebook 2 alone needs: Inside VGG Its figures, its exercises' checks and its panels."""
