BEGIN TRANSACTION;
CREATE TABLE aldis_deliveries (
	id INTEGER NOT NULL,
	emission_id VARCHAR(32) NOT NULL,
	receiver VARCHAR(190) NOT NULL,
	signal VARCHAR(190) NOT NULL,
	payload TEXT NOT NULL,
	order_key VARCHAR(190),
	state SMALLINT DEFAULT '0' NOT NULL,
	created_at BIGINT DEFAULT (cast((julianday('now') - 2440587.5) * 86400000000.0 as integer)) NOT NULL,
	due_at BIGINT DEFAULT (cast((julianday('now') - 2440587.5) * 86400000000.0 as integer)) NOT NULL,
	finished_at BIGINT,
	attempts INTEGER DEFAULT '0' NOT NULL,
	lost INTEGER DEFAULT '0' NOT NULL,
	worker VARCHAR(32),
	reason TEXT,
	traceback TEXT,
	cause VARCHAR(223),
	traceparent VARCHAR(255),
	PRIMARY KEY (id)
);
INSERT INTO "aldis_deliveries" VALUES(1,'00000000000000000000000000000001','billing.receipt','order-paid','{"sender":"quay"}',NULL,2,1705841876913012,1705841876913012,1705841876991990,1,0,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',NULL,NULL,NULL,NULL);
INSERT INTO "aldis_deliveries" VALUES(2,'00000000000000000000000000000002','billing.receipt','order-paid','{"sender":"quay"}','k',3,1705841877023010,1705841877023010,1705841877089998,1,0,NULL,'LookupError: no printer','Traceback …',NULL,NULL);
INSERT INTO "aldis_deliveries" VALUES(3,'00000000000000000000000000000003','billing.receipt','order-paid','{"sender":"quay"}','k',4,1705841877103999,1705841877103999,NULL,0,0,NULL,NULL,NULL,'00000000000000000000000000000002:billing.receipt',NULL);
INSERT INTO "aldis_deliveries" VALUES(4,'00000000000000000000000000000004','billing.receipt','order-paid','{"sender":"quay"}',NULL,5,1705841877164992,1705841877164992,1705841877204018,0,0,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "aldis_deliveries" VALUES(5,'00000000000000000000000000000005','billing.receipt','order-paid','{"sender":"quay"}',NULL,6,1705841877252982,1705841877673016,NULL,1,2,NULL,'the worker was lost while it had the delivery',NULL,NULL,NULL);
INSERT INTO "aldis_deliveries" VALUES(6,'00000000000000000000000000000006','billing.receipt','order-paid','{"sender":"quay"}',NULL,1,1705841877710996,1705841877710996,NULL,1,0,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',NULL,NULL,NULL,NULL);
INSERT INTO "aldis_deliveries" VALUES(7,'00000000000000000000000000000007','billing.receipt','order-paid','{"sender":"quay"}',NULL,0,1705841877721014,1705841877721014,NULL,0,0,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE aldis_paused (
	receiver VARCHAR(190) NOT NULL,
	since BIGINT DEFAULT (cast((julianday('now') - 2440587.5) * 86400000000.0 as integer)) NOT NULL,
	PRIMARY KEY (receiver)
);
INSERT INTO "aldis_paused" VALUES('billing.refund',1705841877231015);
CREATE TABLE aldis_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT aldis_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "aldis_version" VALUES('0001');
CREATE TABLE aldis_workers (
	id VARCHAR(32) NOT NULL,
	name VARCHAR(255) NOT NULL,
	started_at BIGINT DEFAULT (cast((julianday('now') - 2440587.5) * 86400000000.0 as integer)) NOT NULL,
	expires_at BIGINT NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO "aldis_workers" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','quay-1',1705841876799997,1705842477653986);
CREATE INDEX ix_aldis_deliveries_ready ON aldis_deliveries (state, receiver, due_at, id);
CREATE INDEX ix_aldis_deliveries_chain ON aldis_deliveries (receiver, order_key, state, id);
CREATE INDEX ix_aldis_deliveries_worker ON aldis_deliveries (worker);
CREATE INDEX ix_aldis_deliveries_ended ON aldis_deliveries (state, finished_at);
COMMIT;
