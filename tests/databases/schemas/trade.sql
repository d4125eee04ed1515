-- Orders of parts: the shape of TPC-H, with rows of our own. `changes` counts what the tests change.
CREATE SCHEMA trade;
CREATE TABLE trade.regions (id integer PRIMARY KEY, name char(25) NOT NULL, comment varchar(152));
CREATE TABLE trade.nations (id integer PRIMARY KEY, name char(25) NOT NULL, region_id integer NOT NULL REFERENCES trade.regions);
CREATE TABLE trade.suppliers (
  id integer PRIMARY KEY, name char(25) NOT NULL, nation_id integer NOT NULL REFERENCES trade.nations, balance numeric(15, 2) NOT NULL
);
CREATE TABLE trade.parts (id integer PRIMARY KEY, name varchar(55) NOT NULL, brand char(10), size integer, price numeric(15, 2) NOT NULL);
CREATE TABLE trade.part_suppliers (
  part_id integer REFERENCES trade.parts, supplier_id integer REFERENCES trade.suppliers, available integer NOT NULL, cost numeric(15, 2) NOT NULL,
  PRIMARY KEY (part_id, supplier_id)
);
CREATE TABLE trade.customers (
  id integer PRIMARY KEY, name varchar(25) NOT NULL, nation_id integer NOT NULL REFERENCES trade.nations, balance numeric(15, 2) NOT NULL, segment char(10)
);
CREATE TABLE trade.orders (
  id bigint PRIMARY KEY, customer_id integer NOT NULL REFERENCES trade.customers ON DELETE CASCADE, status char(1) NOT NULL,
  total numeric(15, 2) NOT NULL, ordered_on date NOT NULL, priority char(15)
);
CREATE TABLE trade.items (
  order_id bigint REFERENCES trade.orders ON DELETE CASCADE, line integer, part_id integer NOT NULL, supplier_id integer NOT NULL,
  quantity numeric(15, 2) NOT NULL, price numeric(15, 2) NOT NULL, discount numeric(15, 2) NOT NULL, shipped_on date, comment varchar(44),
  PRIMARY KEY (order_id, line), FOREIGN KEY (part_id, supplier_id) REFERENCES trade.part_suppliers
);
CREATE TABLE trade.changes (number integer PRIMARY KEY);
CREATE VIEW trade.revenue AS SELECT order_id, sum(price * (1 - discount)) AS revenue FROM trade.items GROUP BY order_id;

INSERT INTO trade.regions SELECT n, 'Region ' || n, CASE WHEN n > 1 THEN repeat('quick, quiet', n) END FROM generate_series(0, 4) n;
INSERT INTO trade.nations SELECT n, 'Nation ' || n, n % 5 FROM generate_series(0, 24) n;
INSERT INTO trade.suppliers SELECT n, 'Supplier#' || n, n % 25, (n * 7919 % 100000) / 100.0 - 300 FROM generate_series(1, 20) n;
INSERT INTO trade.parts SELECT n, 'part ' || n, 'Brand#' || n % 5, n % 50, 900 + n / 10.0 FROM generate_series(1, 100) n;
INSERT INTO trade.part_suppliers SELECT n, (n + k * 5) % 20 + 1, n * 13 % 999, n + k / 4.0 FROM generate_series(1, 100) n, generate_series(0, 3) k;
INSERT INTO trade.customers SELECT n, 'Customer#' || n, n % 25, n * 1.01, CASE WHEN n % 6 > 0 THEN 'MACHINERY' END FROM generate_series(1, 60) n;
INSERT INTO trade.orders SELECT n, n % 60 + 1, substr('OFP', n % 3 + 1, 1), 0, date '1992-01-01' + n, CASE WHEN n % 5 > 0 THEN n % 5 || '-URGENT' END
  FROM generate_series(1, 300) n;
INSERT INTO trade.items SELECT o, k, o % 100 + 1, (o % 100 + 1 + k % 4 * 5) % 20 + 1, k * 3, k * 100 + o / 100.0, o % 10 / 100.0,
  CASE WHEN o % 13 > 0 THEN date '1992-02-01' + o END, 'line ' || k FROM generate_series(1, 300) o, generate_series(1, 4) k;
UPDATE trade.orders SET total = (SELECT sum(price) FROM trade.items WHERE order_id = id);
