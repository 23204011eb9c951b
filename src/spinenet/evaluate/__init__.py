"""How good are the grades?"""
