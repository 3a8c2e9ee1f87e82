"""What a report shows, gathered from the job's folder: rows, thumbnails, pictures, archives."""
