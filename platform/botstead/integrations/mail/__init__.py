"""Mail by SMTP, see README.md."""
