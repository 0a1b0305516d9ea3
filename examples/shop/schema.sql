CREATE TABLE IF NOT EXISTS product (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    cents INTEGER NOT NULL,
    stock INTEGER NOT NULL CHECK (stock >= 0)
);

CREATE TABLE IF NOT EXISTS "order" (
    id INTEGER PRIMARY KEY,
    cents INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS journal (
    id INTEGER PRIMARY KEY,
    order_id INTEGER NOT NULL REFERENCES "order",
    entry TEXT NOT NULL
);

INSERT OR IGNORE INTO product (id, name, cents, stock) VALUES
    (1, 'Signal lamp', 18900, 5),
    (2, 'Brass compass', 4550, 12),
    (3, 'Ten metres of rope', 1275, 40);
