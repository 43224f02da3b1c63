"""What an operator steers and watches."""
