"""The admin API below /admin/api: who may ask, what there is to see and to change. FastAPI stays in here."""
