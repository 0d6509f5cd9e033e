"""What notebook 1 alone needs: What is transfer learning? Its figures, its exercises' checks and its panels."""
