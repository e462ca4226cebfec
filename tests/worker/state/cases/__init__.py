"""What must survive a move: programs by kind. Each is a list of cells, with a move after every one."""
