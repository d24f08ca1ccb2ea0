"""Who calls: keys, tenants and plans as this process knows them."""
