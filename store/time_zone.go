package store

// ZoneOf is SQL for the name of a store's time zone: the one set on its pages, else the platform's word, else UTC.
// storeID is SQL, too.
func ZoneOf(storeID string) string {
	return `coalesce(
			(SELECT nullif(time_zone, '') FROM store_settings WHERE store_id = ` + storeID + `),
			(SELECT nullif(time_zone, '') FROM stores WHERE id = ` + storeID + `),
			'UTC')`
}
