"""What notebook 4 alone needs: Frozen or full? Its figures, its exercises' checks and its panels."""
