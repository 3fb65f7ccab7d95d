"""Services: forwarders that publish a replica at a port, in processes that outlive the helper."""
