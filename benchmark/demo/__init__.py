"""`benchmark demo`: small trained networks that come with the package, and the picture that they draw."""
