"""What the worker adds to events: network and place of the address, client, actor, retention."""
