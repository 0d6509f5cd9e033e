"""What notebook 6 alone needs: Your own pictures. Its example, its figures, its exercises' checks and its panels."""
