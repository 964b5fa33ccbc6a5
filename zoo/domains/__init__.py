"""What x is: the kinds of examples, each with its checks, its preparation in the graph and its pictures."""
