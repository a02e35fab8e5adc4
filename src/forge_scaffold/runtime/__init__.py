"""Running a Worker on this machine, whoever made it.

A project of ours brings its harness: `npm run local` and `npm test`. For any other Worker the
template's harness is installed once in the user's cache (`harness`), its packages are installed
for the Workers platform (`packages`), and the harness runs in the Worker's folder (`commands`).
Folders that were not used for a month are removed from the cache (`cache`).
"""
