A dispatcher in wrong hands can no longer start a job that you signed a second time: your own server keeps a book of
what it let go, and refuses (`auth.replay`) the same on another host, under another number, or beyond its `retries`.
